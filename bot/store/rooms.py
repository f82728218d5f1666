"""The rooms of the store: what is kept of each kind, and the queries for it."""

from bot.store.acts import Acts
from bot.store.api_keys import ApiKeys
from bot.store.blocks import Blocks
from bot.store.cells import Cells
from bot.store.database import Database
from bot.store.deletions import Deletions
from bot.store.disabled_entries import DisabledEntries
from bot.store.favourites import Favourites
from bot.store.figures import Figures
from bot.store.forms import Forms
from bot.store.greetings import Greetings
from bot.store.history import History
from bot.store.image_checks import ImageChecks
from bot.store.input_uses import InputUses
from bot.store.kept_images import KeptImages
from bot.store.known_weights import KnownWeights
from bot.store.levels import LevelSettings
from bot.store.messages import Messages
from bot.store.personal import Personal
from bot.store.presets import Presets
from bot.store.reports import Reports
from bot.store.resets import Resets
from bot.store.sent_again import SentAgain
from bot.store.uploads import Uploads
from bot.store.usage import Spent
from bot.store.uses import Uses
from bot.store.words import Words


class Rooms:
    """Base of the store.

    messages: the Discord messages and interaction tokens of the jobs.
    input_uses: the input images that the jobs refer to. kept_images: those that were generated.
    api_keys: of callers over HTTP. uploads: their input images.
    known_weights: the hashes that recipes name. deletions: of results. forms: sent back.
    cells: of comparisons. levels: what is set. history: the index of prompts. favourites: kept.
    personal: all of one person. sent_again: where else results are shown. figures: for statistics.
    greetings: of servers that the bot joined. words: that are blocked.
    acts: what was changed and moderated. blocks, resets, reports, disabled_entries: what that was
        about.
    presets: that people saved. uses: of models and LoRAs. image_checks: what they objected to.
    """

    def __init__(self, database: Database) -> None:
        self.messages = Messages(database)
        self.input_uses = InputUses(database)
        self.kept_images = KeptImages(database)
        self.api_keys = ApiKeys(database)
        self.known_weights = KnownWeights(database)
        self.uploads = Uploads(database)
        self.forms = Forms(database)
        self.cells = Cells(database)
        self.greetings = Greetings(database)
        self._spent = Spent()
        self.history = History(database)
        self.favourites = Favourites(database)
        self.sent_again = SentAgain(database)
        self.figures = Figures(database)
        self.uses = Uses(database)
        self.acts = Acts(database)
        self.words = Words(database, self.acts)
        self.levels = LevelSettings(database, self.acts)
        self.personal = Personal(database, self._spent, self.acts)
        self.deletions = Deletions(database, self.acts)
        self.image_checks = ImageChecks(database, self.acts)
        self.blocks = Blocks(database, self.acts)
        self.resets = Resets(database, self._spent, self.acts)
        self.reports = Reports(database, self.acts)
        self.disabled_entries = DisabledEntries(database, self.acts)
        self.presets = Presets(database, self.acts)
