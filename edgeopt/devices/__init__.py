"""Devices: lend themselves, take files, start agents. They know no models.

``device_named("local").facts(target)`` says what a target is. To measure::

    with device.lease(workdir, exclusive=True, cancelled=event) as lease:
        lease.put({digest: path, ...})
        with lease.start_agent() as channel:
            hello, _ = channel.ask("hello", Hello)

A kind is a file of this folder with a class ``DEVICE``, or an entry point of the group
``edgeopt.devices``. A kind that needs more than a name has a model ``Settings``, which the
devices file fills (``transport.configured``). What kinds share is in ``edgeopt.transport``.
"""
