"""The demo: the agent's main job on real traffic, in three network namespaces, measured against its promises."""
