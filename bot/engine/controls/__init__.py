"""ControlNets and T2I-Adapters: the maps that they follow, and the networks that follow them."""
