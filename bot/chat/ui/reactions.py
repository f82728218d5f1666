"""The reactions on a result that the bot acts on."""

SAME_SEED = "🔁"
NEW_SEED = "🎲"
KEEP = "⭐"
