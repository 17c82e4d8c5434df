"""The commands: one table behind the CLI and the MQTT channel, and the journal of what was done.

The table reads all that commands are made of, a third of the agent; what needs one file of this room (the line at the
start, a verb of the CLI) must not wait for that. So the room hands on no names: import from the module that is meant.
"""
