"""`modem-support`, the operator's tool at a desk: never needed on a device."""
