"""The ways in which a host reaches a simulated module: pty, TCP, unix socket, and a control socket beside them."""

from simulator.ports.control import ControlServer, ask
from simulator.ports.host import Host
from simulator.ports.pty import PtyPort
from simulator.ports.serve import Running, serve
from simulator.ports.stream import StreamPort
from simulator.ports.sysfs import SysfsTree
from simulator.ports.trace import Trace

__all__ = ["ControlServer", "Host", "PtyPort", "Running", "StreamPort", "SysfsTree", "Trace", "ask", "serve"]
