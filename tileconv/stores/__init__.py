"""Where bytes lie under keys: the protocol, a folder of this machine, memory; and the calls of the file system."""
