"""Who uses the page, and the places it offers beside the two channels: all that a bot meets."""

from playground.accounts import TeamMember
from playground.stage import Stage
from playground.state import ChannelType

OWNER = "max"
PEOPLE = ("ada", "bea", OWNER)
"""The users that the page can act as."""


def furnish(stage: Stage) -> None:
    """Add a thread, an archived and a locked one, a forum with a post, an announcement and a voice
    channel, a server and a group without the bot, and everyone's DM; everyone has installed it.

    One of them administers the server and owns the application, so that every command can be tried.
    """
    owner = stage.core.world.owner
    thread = stage.add_thread(stage.channel, "sketches")
    stage.say(owner, thread, "A thread for first attempts.")
    archived = stage.add_thread(stage.channel, "last winter")
    stage.say(owner, archived, "Archived after days of silence: a message opens it again.")
    stage.archive(archived)
    locked = stage.add_thread(stage.channel, "closed")
    stage.say(owner, locked, "This thread is locked: only moderators can write here.")
    stage.lock(locked)
    forum = stage.add_forum("showcase")
    stage.add_post(forum, "Your best pictures", "Show what you have made.")
    stage.add_channel("news", kind=ChannelType.ANNOUNCEMENT)
    stage.add_channel("lounge", kind=ChannelType.VOICE)
    people = [stage.user(name) for name in PEOPLE]
    one = stage.user(OWNER)
    stage.give_role(one, stage.add_role("administrators", "administrator"))
    stage.set_team(TeamMember(one))
    elsewhere = stage.add_foreign_guild("another server")
    stage.add_channel("chat", elsewhere)
    for person in people:
        stage.dm(person)
        stage.install(person)
    stage.add_group(*people)
