"""How files, agents and answers get to a device and back; all kinds of devices share it."""
