"""The HTTP interface: the same engine, queue, store and limits as on Discord."""
