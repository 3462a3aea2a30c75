"""The widgets in a live kernel, moved by the messages that a notebook's page sends.

A page and a kernel speak of a widget by comm messages: the kernel opens it with its state, the
page sends what the user moved, and the kernel answers with what changed. Figures go into an Output:
those shown while its `msg_id` is that of the message that caused them.
"""

import queue

import pytest

CODE = """
import numpy as np
import plotly.io
from crbm_lite.plotting.interactive.explorers import selection_surface
from crbm_lite.plotting.interactive.viewer import view_assemblies
from crbm_lite.plotting.interactive.widgets import browse_assemblies, explore

plotly.io.renderers.default = "plotly_mimetype"
places = np.random.default_rng(0).normal(size=(30, 3))
labels = np.arange(30)[:, None] % 2 == [0, 1]
viewer = view_assemblies(np.eye(30)[:, :3], places, labels=labels, label_names=("left", "right"))
browser = browse_assemblies(viewer)
surfaces = {"score": [[0.1, 0.2], [0.3, 0.1]], "nLLH": [[0.3, 0.1], [0.2, 0.0]]}
explorer = explore(selection_surface([2, 4], [0.01, 0.02], surfaces))
"""
TIMEOUT_S = 60


class Page:
    """The other end of the messages: the widgets' states, and the figures of each Output."""

    def __init__(self, client):
        self.client, self.states, self.shown, self.capture = client, {}, {}, {}
        self.cleared = 0

    def take(self, request):
        """Read what a request causes, until the kernel is idle again."""
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
            kind, content = message["header"]["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != request:
                continue
            assert kind != "error", content
            if kind == "status" and content["execution_state"] == "idle":
                return
            if kind == "comm_open":
                self.states[content["comm_id"]] = content["data"]["state"]
            elif kind == "comm_msg" and content["data"]["method"] in ("update", "echo_update"):
                self.states[content["comm_id"]].update(content["data"]["state"])
                if "msg_id" in content["data"]["state"]:
                    causes = content["data"]["state"]["msg_id"]
                    self.capture[content["comm_id"]] = causes
            elif kind in ("display_data", "clear_output"):
                (output,) = [k for k, cause in self.capture.items() if cause == request]
                if kind == "clear_output":
                    self.shown[output] = []
                    self.cleared += 1
                else:
                    self.shown.setdefault(output, []).append(content["data"])

    def run(self, code):
        self.take(self.client.execute(code, store_history=False))

    def send(self, widget, data):
        content = {"comm_id": widget, "data": data}
        message = self.client.session.msg("comm_msg", content)
        self.client.shell_channel.send(message)
        self.take(message["header"]["msg_id"])

    def move(self, widget, index):
        self.send(widget, {"method": "update", "state": {"index": index}, "buffer_paths": []})

    def click(self, widget):
        self.send(widget, {"method": "custom", "content": {"event": "click"}})

    def kinds(self, kind):
        return [k for k, state in self.states.items() if state.get("_model_name") == kind]


@pytest.fixture(scope="module")
def page():
    manager = pytest.importorskip("jupyter_client.manager", reason="jupyter_client is missing")
    kernel, client = manager.start_new_kernel(startup_timeout=TIMEOUT_S)
    try:
        page = Page(client)
        page.run(CODE)
        yield page
    except queue.Empty:
        pytest.fail("the kernel did not answer")
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def test_browsing_assemblies_follows_every_control(page):
    menu = page.kinds("DropdownModel")[0]
    back, forth = page.kinds("ButtonModel")
    note, output = page.kinds("LabelModel")[0], page.kinds("OutputModel")[0]
    names = page.states[menu]["_options_labels"]
    assert list(names) == ["HU 0", "HU 1", "HU 2", "left", "right"]
    assert len(page.shown[output]) == 1  # a figure from the start

    def shown():
        (data,) = page.shown[output]  # one takes the place of the other
        note_says = page.states[note]["value"]
        return page.states[menu]["index"], note_says, data["application/vnd.plotly.v1+json"]

    page.move(menu, 4)
    index, text, figure = shown()
    assert index == 4 and text.startswith("right: 15 neurons")
    assert len(figure["data"]) == 4
    page.click(forth)
    assert shown()[:2] == (0, "HU 0: 1 neuron, strongest weight 1.00, densest in left")
    page.click(forth)
    assert shown()[0] == 1 and shown()[1].startswith("HU 1")
    for expected in (0, 2, 1):
        page.click(back)
        assert shown()[0] == expected and shown()[1].startswith(f"HU {expected}")


def test_exploring_follows_its_list(page):
    menu, note = page.kinds("DropdownModel")[1], page.kinds("LabelModel")[1]
    output = page.kinds("OutputModel")[1]
    assert "score: largest" in page.states[note]["value"]
    page.move(menu, 1)
    assert "nLLH: largest" in page.states[note]["value"]
    page.move(menu, 0)
    assert "score: largest" in page.states[note]["value"]
    (data,) = page.shown[output]
    assert "image/png" in data
    assert page.cleared > 0
