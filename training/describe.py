"""What a run would do, as text: the resolved config, the schedule, the networks layer by layer."""
import math
import os

import keras
import tensorflow as tf

import config as configs
from data.tfrecords import SyntheticDataset, open_dataset
from presets.datasets import SHAPES
from training import disk
from training.loop import build
from training.tf_config import check_cluster
from wording import counted


def plan(config, init_from=None):
    """The text of `train.py --dry_run`, which waits for no workers and starts with a line on each thing that is not here."""
    dataset, remarks = planned_dataset(config.data)
    devices = config.train.devices
    if 'TF_CONFIG' in os.environ:
        workers = len(check_cluster(os.environ['TF_CONFIG'])[0])
        devices *= workers
        remarks += [f'{counted(workers, "worker")} of {counted(config.train.devices, "device")} each are assumed, as '
                    'TF_CONFIG names them.']
    elif devices > 1 and devices > (found := len(tf.config.list_physical_devices('GPU'))):
        remarks += [f'{devices} GPUs are assumed; this machine has {found}.']
    return describe(remarks, config, *build(config, tf.distribute.get_strategy(), init_from, dataset, devices))


def planned_dataset(data):
    """The data set of a config, or black images of its published shape; lines that say so."""
    try:
        return open_dataset(data.dir, data.name, data.resolution, data.label_size, data.max_images), []
    except FileNotFoundError as error:
        if data.name not in SHAPES or os.path.exists(os.path.join(data.dir, data.name)):
            raise
        num_images, channels, resolution, label_size = SHAPES[data.name]
        labels = label_size if data.label_size == 'full' else min(data.label_size, label_size)
        dataset = SyntheticDataset(min(data.resolution or resolution, resolution), channels, num_images, labels, data.name)
        return dataset, [f'{num_images} images of {resolution}x{resolution} are assumed; {error}']


def describe(remarks, config, dataset, schedule, state, start):
    """Remarks and all that a run consists of, as text."""
    total_nimg = config.train.total_kimg * 1000
    names = f' ({", ".join(dataset.class_names)})' if dataset.class_names else ''
    return '\n'.join([
        *remarks, configs.to_json(config), f'{dataset.name}: {dataset.num_images} images of {dataset.num_channels}x'
        f'{dataset.resolution}x{dataset.resolution}, label size {dataset.label_size}{names}', '',
        *schedule_table(schedule, total_nimg), '', *start.remarks,
        disk.describe(disk.run_folder(state, schedule, start.nimg, total_nimg, config.train)), '',
        *network_table('G', state.G), '', *network_table('D', state.D)])


def schedule_table(schedule, total_nimg):
    """Lines, one per stretch of training or fading."""
    lines = [f'{"from nimg":>12s}{"to nimg":>12s}{"images":>12s}{"lod":>16s}{"resolution":>12s}{"minibatch":>11s}'
             f'{"G rate":>10s}{"D rate":>10s}']
    for start, end, phase in schedule.phases(total_nimg):
        lods = sorted({schedule.lod_at(start), schedule.lod_at(end)}, reverse=True)
        lines.append(f'{start:12d}{end:12d}{end - start:12d}{" -> ".join(f"{lod:.2f}" for lod in lods):>16s}'
                     f'{phase.resolution:12d}{phase.minibatch:11d}{phase.G_learning_rate:10g}{phase.D_learning_rate:10g}')
    return lines


def network_table(title, network):
    """Lines, one per layer: name, number of parameters, output shape, weight shape."""
    width = max(22, *(len(name) + 2 for name in network.named_layers))
    lines = [f'{title:{width}s}{"parameters":>12s}   {"output [H, W, C]":22s}weight']
    total = 0
    for name, layer in network.named_layers.items():
        parameters = sum(math.prod(v.shape) for v in layer.trainable_variables)
        total += parameters
        inputs = keras.KerasTensor(layer.get_build_config()['input_shape'], dtype=layer.compute_dtype)
        output = layer.compute_output_spec(inputs).shape
        lines.append(f'{name:{width}s}{parameters:12d}   {str(list(output[1:])):22s}{list(layer.variables[0].shape)}')
    return [*lines, f'{"total":{width}s}{total:12d}']
