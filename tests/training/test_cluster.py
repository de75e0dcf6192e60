"""How workers meet and watch each other, with real ports and processes."""
import concurrent.futures
import socket
import subprocess
import sys
import threading

import pytest
from places import ROOT
from ports import free_ports

from training.cluster import meet


def addresses(count):
    return [f'localhost:{port}' for port in free_ports(count)]


def start(places, index, met):
    """What a worker does: it meets the others, and goes on to answer at its port."""
    meet(places, index, 60)
    with socket.create_server(('', int(places[index].rpartition(':')[2]))):
        met.wait()


def test_workers_that_come_one_after_the_other_meet():
    places, met = addresses(3), threading.Barrier(3)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(start, places, 0, met)
        assert not concurrent.futures.wait([first], 0.7).done and not met.n_waiting
        others = [pool.submit(start, places, index, met) for index in (1, 2)]
        assert [each.result() for each in (first, *others)] == [None] * 3


@pytest.mark.parametrize('other', ['localhost:{}', '[::1]:{}', 'no.such.host.invalid:{}'])
def test_a_worker_that_never_comes_is_named(other):
    own, absent = free_ports(2)
    other = other.format(absent)
    with pytest.raises(TimeoutError) as error:
        meet([f'localhost:{own}', other], 0, 0.2)
    assert str(error.value).startswith(f'worker 1 ({other}: ') and ' has not come within 0.2 s; start' in str(error.value)
    assert str(error.value).endswith('wait longer with --worker_timeout.')


def test_a_port_in_use_is_named():
    place, other = addresses(2)
    with socket.create_server(('', int(place.rpartition(':')[2]))), pytest.raises(OSError) as error:
        meet([place, other], 0, 1)
    assert str(error.value) == (f'worker 0 cannot listen at {place} (Address already in use); end what uses the port, or '
                                f'write another one into TF_CONFIG on all machines.')


def test_what_waits_for_a_worker_ends_when_it_is_gone():
    own, other = addresses(2)
    waits = ('import sys, time; from training.cluster import watched\n'
             'with watched(sys.argv[1:], 0): print("watching", flush=True); time.sleep(600)')
    with socket.create_server(('localhost', int(other.rpartition(':')[2]))) as server, subprocess.Popen(
            [sys.executable, '-c', waits, own, other], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True) as process:
        assert process.stdout.readline() == 'watching\n'
        server.accept()[0].close()  # It has looked once.
        assert process.poll() is None
        server.close()
        _, said = process.communicate(timeout=600)
    assert process.returncode == 1 and f'worker 1 ({other}) is gone; what it says tells why. Start all' in said
