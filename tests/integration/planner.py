"""Another system that asks for replays by messages."""

import json
import subprocess
from typing import Any

from confluent_kafka import Producer

from schemas import topics
from schemas.replaycommand import COMMAND_TYPE
from tests.world import World, wait_for


class OtherSystem:
    """Another system: sends commands, and reads the answers to its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pipeline = world.pipeline
        self.source = f"/planners/{world.pipeline}"
        self._producer = Producer({"bootstrap.servers": world.bootstrap})

    def send(self, command_id: str | None, command: dict[str, Any] | bytes) -> None:
        """Send a command; without an id nobody can be answered."""
        value = command if isinstance(command, bytes) else json.dumps(command).encode()
        headers = {"ce_specversion": "1.0", "ce_type": COMMAND_TYPE, "ce_source": self.source, "ce_id": command_id}
        named: dict[str, str | bytes | None] = {name: text for name, text in headers.items() if text is not None}
        self._producer.produce(topics.REPLAY_COMMANDS, value, self.source, headers=named)
        assert self._producer.flush(30) == 0

    def send_unreadable_header(self) -> None:
        """Send a record with a header name that is not UTF-8, which breaks clients of Kafka."""
        kcat: list[str | bytes] = ["kcat", "-P", "-b", self.world.bootstrap, "-t", topics.REPLAY_COMMANDS]
        subprocess.run([*kcat, "-H", b"\xff\xfe=1"], input=b"x", check=True)

    def answers(self) -> dict[str, list[dict[str, Any]]]:
        """Return all answers by the command's id."""
        found: dict[str, list[dict[str, Any]]] = {}
        for message in self.world.read(topics.REPLAY_ANSWERS):
            answer = json.loads(message.value() or b"")
            if answer["command_source"] == self.source:
                assert message.key() == answer["command_id"].encode()
                found.setdefault(answer["command_id"], []).append(answer)
        return found

    def answer(self, command_id: str, timeout_s: float = 120) -> dict[str, Any]:
        """Wait for the answer to a command; more than one is the same answer."""
        found = wait_for(lambda: self.answers().get(command_id), timeout_s, f"answer to {command_id}", 0.2)
        assert all(one == found[0] for one in found)
        answer: dict[str, Any] = found[0]
        return answer

    def ask(self, command_id: str, **command: Any) -> tuple[str, Any]:
        """Send a command; return outcome and code, or outcome and state."""
        self.send(command_id, command)
        answer = self.answer(command_id)
        return answer["outcome"], answer.get("code", answer.get("state"))
