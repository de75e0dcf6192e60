"""What a run would do, as text: the resolved config, the schedule, the networks layer by layer."""
import math

import keras

import config as configs
from training import disk


def describe(config, dataset, schedule, state, start):
    """The text of `train.py --dry_run`."""
    total_nimg = config.train.total_kimg * 1000
    return '\n'.join([
        configs.to_json(config), f'{dataset.name}: {dataset.num_images} images of {dataset.num_channels}x'
        f'{dataset.resolution}x{dataset.resolution}, label size {dataset.label_size}', '',
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
    lines = [f'{title:22s}{"parameters":>12s}   {"output [H, W, C]":22s}weight']
    total = 0
    for name, layer in network.named_layers.items():
        parameters = sum(math.prod(v.shape) for v in layer.trainable_variables)
        total += parameters
        inputs = keras.KerasTensor(layer.get_build_config()['input_shape'], dtype=layer.compute_dtype)
        output = layer.compute_output_spec(inputs).shape
        lines.append(f'{name:22s}{parameters:12d}   {str(list(output[1:])):22s}{list(layer.weight.shape)}')
    return [*lines, f'{"total":22s}{total:12d}']
