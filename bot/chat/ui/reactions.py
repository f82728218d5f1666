"""The reactions that a result understands."""

SAME_SEED = "🔁"
NEW_SEED = "🎲"
