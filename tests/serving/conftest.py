"""A real tiny model behind a real server on a free port, and OpenAI's own client."""

import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.serving import open_service


@contextmanager
def served(model, **settings):
    """The service while a thread serves it."""
    with open_service(lambda: model, port=0, **settings) as service:
        config = uvicorn.Config(service.app, log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [service.opened]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield service
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


@pytest.fixture(scope="session")
def serve():
    return served


@pytest.fixture(scope="session")
def story_model(stories260k):
    return load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain", special_tokens="text")


@pytest.fixture(scope="module")
def service(story_model):
    with served(story_model, batch_size=16) as service:
        yield service


@pytest.fixture(scope="module")
def client(service):
    openai = pytest.importorskip("openai", reason="OpenAI's own client asks; install the extra `oracle`")
    with openai.OpenAI(base_url=service.base, api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def batch(service):
    """The batch behind the service: what is in work there."""
    return service.app.app.state.batch
