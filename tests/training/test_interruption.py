import os
import signal
import threading

import pytest

from vgexp.training.interruption import stop_requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_request_is_noted_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_requests() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        assert stopped()
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_is_immediate():
    with pytest.raises(KeyboardInterrupt), stop_requests():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_after_another_request_the_first_ctrl_c_is_none_too_many():
    with stop_requests() as stopped:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_preemption_is_handed_on_when_the_block_is_over(number):
    seen = []
    before = signal.signal(number, lambda number, frame: seen.append(number))
    try:
        with stop_requests() as stopped:
            os.kill(os.getpid(), number)
            assert stopped() and not seen
        assert seen == [number]
    finally:
        signal.signal(number, before)


def test_outside_the_main_thread_nobody_can_ask():
    answers = []

    def work():
        with stop_requests() as stopped:
            answers.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
