"""What runs inside a guest: the module as a true USB device, the operator's network behind it, and the host's hand."""
