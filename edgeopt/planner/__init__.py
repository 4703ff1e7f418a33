"""Recipe + Descriptions + target facts -> Plan. Pure: nothing runs, no file is opened.

Each target grows its own branches from the source, step by step; branches that come to the
same chain share their jobs. A pass applies where one of its name exists for the branch's
format and is passed over elsewhere. Conversions are inserted only where no step converts. A pass
that changes the network itself (a stage) also leaves its input as a branch, which later stages
pass over: so every stage can be measured with and without.
"""

from edgeopt.planner.branches import make_plan
from edgeopt.planner.jobs import SOURCE_CHECK, needed, tensors_job
from edgeopt.planner.known import Known, UserCode

__all__ = ["SOURCE_CHECK", "Known", "UserCode", "make_plan", "needed", "tensors_job"]
