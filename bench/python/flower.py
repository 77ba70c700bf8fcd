"""SecAgg+ of Flower: its own client and server code over a grid within this process.

Clients are `secaggplus_mod` with their state, the server is `SecAggPlusWorkflow`. The grid calls one client after
another and keeps the time that each takes; the rest of a stage's time is the server's.
"""

import copy
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Parameters, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.compat.common import recorddict_compat
from flwr.server import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import WorkflowState
from flwr.supercore.task_identity import TaskIdentity

from rows import row, timed

CLIENTS = 100
# (shares of a client's secrets, clients that fall silent after they shared their keys)
ROUNDS = [(11, 0), (11, 5), (31, 0)]
WEIGHT = 500
# The runtime names its process so before it runs an app.
TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
EMPTY = Parameters(tensors=[], tensor_type="numpy.ndarray")


class Grid:
    """Carries messages to the clients of this process and remembers what each cost."""

    def __init__(self, update: Parameters, dropped: int) -> None:
        self.fit = FitRes(Status(Code.OK, ""), update, WEIGHT, {})
        self.contexts = {node: Context(0, node, {}, RecordDict(), {}) for node in range(1, CLIENTS + 1)}
        self.dead = set(list(self.contexts)[:dropped])
        self.milliseconds: dict[int, float] = defaultdict(float)
        self.uploaded: dict[int, int] = defaultdict(int)
        self.waited = 0.0
        self.replies: list[Message] = []
        self.replay = False

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Answers of all clients; the dropped ones are silent from the masked vectors on."""
        started = time.perf_counter()
        if not self.replay:
            self.replies = [reply for message in messages if (reply := self.ask(message)) is not None]
        self.waited += (time.perf_counter() - started) * 1e3
        return self.replies

    def ask(self, message: Message) -> Message | None:
        """One client's answer; what its training returns is ready before it is asked."""
        node = message.metadata.dst_node_id
        stage = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
        if node in self.dead and stage in (Stage.COLLECT_MASKED_VECTORS, Stage.UNMASK):
            return None
        training = stage == Stage.COLLECT_MASKED_VECTORS
        result = recorddict_compat.fitres_to_recorddict(self.fit, True) if training else RecordDict()
        trained = Message(result, reply_to=message)
        content = RecordDict({RECORD_KEY_CONFIGS: ConfigRecord(dict(message.content.config_records[RECORD_KEY_CONFIGS]))})
        sent = Message(content, dst_node_id=node, message_type=message.metadata.message_type)
        replies: list[Message] = []
        self.milliseconds[node] += timed(
            lambda: replies.append(secaggplus_mod(sent, self.contexts[node], lambda *_: trained))
        )
        reply = replies[0]
        self.uploaded[node] += size_of(reply.content.config_records[RECORD_KEY_CONFIGS])
        return reply


def size_of(record: ConfigRecord) -> int:
    """Bytes of the byte strings in an answer; the few numbers beside them are not counted."""
    values = (value if isinstance(value, list) else [value] for value in record.values())
    return sum(len(one) for value in values for one in value if isinstance(one, bytes))


class Strategy:
    """Selects every client and keeps the aggregate; both are next to nothing beside the protocol."""

    def __init__(self) -> None:
        self.aggregate = EMPTY

    def configure_fit(self, _round: int, _parameters: Parameters, _clients: object) -> list:
        return [(SimpleNamespace(node_id=node), FitIns(EMPTY, {})) for node in range(1, CLIENTS + 1)]

    def aggregate_fit(self, _round: int, results: list, _failures: list) -> tuple[None, dict]:
        self.aggregate = results[0][1].parameters
        return None, {}


class Server:
    """One round of the workflow, stage by stage, with the server's own time of each."""

    def __init__(self, grid: Grid, neighbours: int) -> None:
        self.workflow = SecAggPlusWorkflow(neighbours, neighbours // 2 + 1)
        self.grid = grid
        self.strategy = Strategy()
        self.state = WorkflowState()
        records = RecordDict({"config": ConfigRecord({"current_round": 1}), "parameters": empty_record()})
        clients = SimpleNamespace(num_available=lambda: CLIENTS)
        self.context = LegacyContext(
            Context(0, 0, {}, records, {}), strategy=self.strategy, client_manager=clients  # type: ignore[arg-type]
        )

    def stage(self, name: str, state: WorkflowState | None = None) -> float:
        """Milliseconds that the server needs for a stage, its clients' answers left out."""
        before, done = self.grid.waited, []
        step = getattr(self.workflow, f"{name}_stage")
        whole = timed(lambda: done.append(step(self.grid, self.context, state or self.state)))
        if done != [True]:
            raise SystemExit(f"Flower: stage {name} failed")
        return whole - (self.grid.waited - before)


def empty_record():
    """A model of no arrays, since training is left out."""
    return recorddict_compat.parameters_to_arrayrecord(EMPTY, True)


def rows(d: int, repeat: int) -> list[dict]:
    """A client's and the server's work for all numbers of neighbours and of dropped clients."""
    return [one for neighbours, dropped in ROUNDS for one in round_of(d, repeat, neighbours, dropped)]


def round_of(d: int, repeat: int, neighbours: int, dropped: int) -> list[dict]:
    """One round; its unmasking is done `repeat` times, from the same state and the same answers."""
    update = np.sin(np.arange(d) * 0.37).astype(np.float32)
    grid = Grid(ndarrays_to_parameters([update]), dropped)
    server = Server(grid, neighbours)
    print(f"Flower: {CLIENTS} clients, d = {d}, k = {neighbours}, {dropped} dropped", file=sys.stderr)
    server.stage("setup")
    server.stage("share_keys")
    collected = server.stage("collect_masked_vectors") / (CLIENTS - dropped)
    before = copy.deepcopy(server.state)
    unmasked = [server.stage("unmask")]
    grid.replay = True
    unmasked += [server.stage("unmask", copy.deepcopy(before)) for _ in range(repeat - 1)]
    check(server.strategy.aggregate, update)
    peer = f"SecAgg+, flwr {version('flwr')}, {CLIENTS} clients, k = {neighbours}, {dropped} dropped"
    opened = row(peer, "server unmasks the sum", "unmask", d, unmasked)
    if dropped:
        return [opened]
    alive = [node for node in grid.contexts if node not in grid.dead]
    client = [grid.milliseconds[node] for node in alive]
    sent = statistics.median([grid.uploaded[node] for node in alive])
    return [
        row(peer, "client agrees on keys and masks", "prove", d, client, sent),
        row(peer, "server adds one masked vector", "verify", d, [collected]),
        opened,
    ]


def check(aggregate: Parameters, update: np.ndarray) -> None:
    """All clients have the same vector and weight, so that their mean is that vector, but for quantisation."""
    error = float(np.abs(parameters_to_ndarrays(aggregate)[0] - update).max())
    if error > 1e-4:
        raise SystemExit(f"Flower: the mean is off by {error}")
