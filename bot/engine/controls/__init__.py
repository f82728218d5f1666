"""Making an image follow another one's edges, depth, pose and so on: ControlNets."""

from bot.engine.controls.controls import Controls, Followings
from bot.engine.controls.headers import check_headers

__all__ = ["Controls", "Followings", "check_headers"]
