"""What runtime.py settles for a process, each claim in a process of its own."""
import os
import subprocess
import sys

from places import ROOT


def run(script):
    """The script's output; it starts with `import runtime`."""
    environment = {key: value for key, value in os.environ.items() if not key.endswith('_THREADS')}  # As chosen by nobody.
    result = subprocess.run([sys.executable, '-c', f'import runtime\n{script}'], capture_output=True, text=True, timeout=600,
                            env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def test_keras_imports_no_extras_and_others_can():
    assert run('import sys, keras, tensorflow\n'
               'before = {"sklearn", "matplotlib"} & sys.modules.keys()\n'
               'import matplotlib, sklearn\n'
               'print(before, len({"sklearn", "matplotlib"} & sys.modules.keys()))') == 'set() 2'


def test_small_networks_get_two_kernels_at_a_time_unless_something_ran_already():
    ask = 'threading = tf.config.threading\nprint(threading.get_inter_op_parallelism_threads(), ' \
          'threading.get_intra_op_parallelism_threads())'
    few = 'import os; os.cpu_count = lambda: 6\nruntime.suit_threads_to(64)\nimport tensorflow as tf\n'
    assert run(few + ask) == '2 3'
    assert run(few.replace('64', '512') + ask) == '0 0'
    assert run(few.replace('64', '512, one_device=True') + ask) == '1 6'
    running = 'import tensorflow as tf\ntf.zeros([1])\n'
    assert run(running + few + ask) == run(running + ask)


def test_what_tensorflow_brings_is_not_for_the_garbage_collector_which_runs_again_afterwards():
    assert run('import tensorflow, gc\nprint(gc.isenabled(), gc.get_freeze_count() > 100000)') == 'True True'


def stderr_of(script, *options):
    """What a script writes to standard error, by Python and by C++."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(('TF_CPP', 'NPY_'))}
    return subprocess.run([sys.executable, *options, '-c', script], stderr=subprocess.PIPE, text=True, timeout=600,
                          env=environment).stderr


def test_tensorflow_starts_without_a_word_even_where_warnings_are_errors():
    assert stderr_of('import runtime, tensorflow as tf; tf.zeros(1)', '-W', 'error') == ''


def test_numpy_is_told_of_features_without_a_warning_and_nobody_else_is():
    script = 'import runtime, os; assert "NPY_DISABLE_CPU_FEATURES" not in os.environ; import numpy'
    assert stderr_of(script, '-W', 'error') == ''


def test_a_reader_that_has_seen_enough_ends_a_command_without_a_word():
    done = subprocess.run(['bash', '-c', '"$0" train.py --list | head -1; echo ${PIPESTATUS[0]}', sys.executable], cwd=ROOT,
                          env=os.environ | {'PYTHONUNBUFFERED': '1'}, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] in '01' and done.stderr == ''


def test_only_the_usual_lines_are_dropped_and_a_crash_hides_nothing():
    script = 'import os, quiet\nwith quiet.without_lines(["noise"]):\n  os.write(2, b"noise 1\\nkept\\nnoise 2\\nlast")\n  '
    for end, words in ('', ''), ('os.abort()', ''), ('raise OSError("failed")', 'OSError: failed'):
        written = stderr_of(f'{script}{end}')
        assert written.startswith('kept\nlast') and words in written and 'noise' not in written.partition('Traceback')[0]
    assert stderr_of(f'{script}\nos.write(2, b"noise")').endswith('noise')  # Afterwards all is as it was.


def test_graphs_that_are_each_traced_once_bring_no_warning_and_others_of_tensorflow_are_seen():
    written = stderr_of('''
import runtime
def main(argv):
    import tensorflow as tf  # As commands do.
    def body(x): return x
    for i in range(12):
        tf.function(body)(tf.zeros([i]))
    tf.get_logger().warning('seen')
runtime.run(main)
''')
    assert written.splitlines() == ['seen']
