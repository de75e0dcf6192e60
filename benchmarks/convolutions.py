"""How fast single convolutions run, the upper limit of the training step: `python benchmarks/convolutions.py`.

Method: eight independent convolutions of one kind in a graph, two kernels at a time with one core each, as networks of at
most 64 maps train; their rate relative to plain matrix products (2048^3, float32, on all cores) in the same process, the
best of half a second. Kinds: forward, toward the images and toward the kernel as oneDNN does them; the last with batch and
channels exchanged and, of the 4x4 of stride 2 that scales, as matrix products; all three of 3x3 by minimal filtering, whose
rate counts the multiplications that it saves (networks/convolution.py, networks/minimal_filtering.py).
"""
import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import json
import time

from absl import flags
from machine import limit_isa, sgemm, sgemm_gflops

flags.declare_key_flag('isa')

COUNT = 8
# Images, pixels, maps in, maps out, kernel size, stride: what the step runs most of.
SHAPES = [(32, 4, 64, 64, 3, 1), (32, 8, 64, 64, 3, 1), (16, 16, 64, 64, 3, 1), (16, 32, 64, 64, 3, 1),
          (32, 32, 64, 64, 3, 1), (16, 64, 32, 32, 3, 1), (16, 16, 64, 64, 4, 2), (16, 32, 64, 64, 4, 2),
          (16, 64, 32, 64, 4, 2), (8, 8, 512, 512, 3, 1), (8, 16, 512, 512, 3, 1), (8, 32, 512, 512, 3, 1),
          (8, 16, 512, 512, 4, 2), (8, 32, 512, 512, 4, 2)]
KINDS = ['forward', 'to images', 'to kernel', 'exchanged', 'products', 'minimal, forward', 'minimal, to images',
         'minimal, to kernel']


def best(run, seconds=0.5):
    """Seconds of the fastest run."""
    run()
    times, started = [], time.perf_counter()
    while time.perf_counter() - started < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def kinds(n, size, inputs, outputs, kernel, stride):
    """{kind: a function that runs COUNT convolutions}"""
    import tensorflow as tf

    from networks import convolution, minimal_filtering

    def several(*shape):
        return [tf.Variable(tf.random.stateless_normal(shape, [i, 0])) for i in range(COUNT)]
    x, w = several(n, size, size, inputs), several(kernel, kernel, inputs, outputs)
    y = several(n, size // stride, size // stride, outputs)
    how = {'strides': [1, stride, stride, 1], 'padding': 'SAME'}
    operations = {
        'forward': lambda i: tf.nn.conv2d(x[i], w[i], **how),
        'to images': lambda i: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=x[i].shape, filter=w[i], out_backprop=y[i], **how),
        'to kernel': lambda i: tf.raw_ops.Conv2DBackpropFilter(
            input=x[i], filter_sizes=w[i].shape, out_backprop=y[i], **how)}
    ways = {'exchanged': convolution.exchanged} | (
        {'products': convolution.products} if stride == 2 else {'minimal, to kernel': convolution.minimal})
    for kind, way in ways.items():
        operations[kind] = lambda i, way=way: way(x[i].value(), y[i].value(), kernel, stride)
    if stride == 1:
        operations['minimal, forward'] = lambda i: minimal_filtering.convolve(x[i].value(), w[i].value())
        operations['minimal, to images'] = lambda i: minimal_filtering.to_images(y[i].value(), w[i].value())

    def together(operation):
        return tf.function(lambda: tf.add_n([tf.reshape(operation(i), [-1])[0] for i in range(COUNT)]))
    return {kind: together(operation) for kind, operation in operations.items()}


def main(argv):
    limit_isa()
    runtime.suit_threads_to(64)
    rate, rows = sgemm_gflops(best(sgemm(), 2)), []
    print(f'sgemm {rate:.0f} GFLOP/s; shares of it:')
    print(' images  pixels      maps  kernel  stride   ' + '  '.join(KINDS))
    for shape in SHAPES:
        n, size, inputs, outputs, kernel, stride = shape
        gflop = COUNT * 2 * n * (size // stride) ** 2 * kernel ** 2 * inputs * outputs / 1e9
        shares = {kind: gflop / best(lambda run=run: run().numpy()) / rate for kind, run in kinds(*shape).items()}
        print(f'{n:7d}{size:8d}{inputs:7d}->{outputs:<3d}{kernel:6d}{stride:8d}   ' + '  '.join(
            f'{shares[kind]:.2f}'.rjust(len(kind)) if kind in shares else ' ' * len(kind) for kind in KINDS), flush=True)
        rows.append({'shape': shape, **shares})
    print(f'peak memory {runtime.peak_memory_mib():.0f} MiB')
    print(json.dumps({'sgemm_gflops': rate, 'rows': rows}))


if __name__ == '__main__':
    runtime.run(main)
