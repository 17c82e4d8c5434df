"""The control socket between the daemon and the tools on the device: JSON-RPC 2.0, one object a line.

`server.ControlServer` belongs to the daemon and needs asyncio; `client.ControlClient` belongs to the CLI and must not
cost it that import, so this room hands on no names: import from the module that is meant. README.md has the protocol.
"""
