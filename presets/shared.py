"""Names that every method knows: precisions, labels, growing, what is logged."""
from presets.preset import Preset

PRESETS = {
    'fp32': Preset('precision', 'float32 throughout (the default)', {
        'train.precision': 'fp32', 'schedule.max_minibatch_per_gpu': {256: 16, 512: 8, 1024: 4}}),
    'fp16': Preset('precision', 'float16 activations and loss scaling', {
        'train.precision': 'fp16', 'schedule.max_minibatch_per_gpu': {512: 16, 1024: 8}}),
    'bf16': Preset('precision', 'bfloat16 activations', {
        'train.precision': 'bf16', 'schedule.max_minibatch_per_gpu': {512: 16, 1024: 8}}),

    **{f'{devices}gpus': Preset('number of devices', f'{devices} GPUs; minibatches stay', {'train.devices': devices})
       for devices in (2, 4, 8)},

    'cond': Preset('labels', 'train with all label components', {'data.label_size': 'full'}),
    'cond1': Preset('labels', 'train with the first label component', {'data.label_size': 1}),
    'nogrowing': Preset('growing', 'start at the full resolution', {
        'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0,
        'schedule.lod_transition_kimg': 0.0, 'train.total_kimg': 10000.0}),
    'nosmoothing': Preset('', 'no moving average: Gs is G', {
        'train.Gs_decay': 0.0, 'schedule.Gs_half_life_kimg': None}),
    'norepeat': Preset('', 'look at the schedule every round', {'train.minibatch_repeats': 1}),
    'noreset': Preset('', 'keep the optimizers\' state when blocks come in', {'train.reset_optimizers': False}),
    'grid4k': Preset('', 'picture grids for 3840x2160', {'train.grid': '4k'}),
    'grid8k': Preset('', 'picture grids for 7680x4320', {'train.grid': '8k'}),
    'row_per_class': Preset('', 'picture grids with one row per class', {'train.grid_layout': 'row_per_class'}),

    'BENCHMARK': Preset('growing', 'phases of 3 + 3 kimg through all resolutions', {
        'schedule.lod_initial_resolution': 4, 'schedule.lod_training_kimg': 3.0,
        'schedule.lod_transition_kimg': 3.0, 'schedule.tick_kimg': 1.0, 'schedule.tick_kimg_dict': {},
        'train.total_kimg': 51.0, 'train.image_snapshot_ticks': 1000, 'train.network_snapshot_ticks': 1000}),
    'BENCHMARK0': Preset('growing', '10 kimg at the full resolution', {
        'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0,
        'schedule.lod_transition_kimg': 0.0, 'schedule.tick_kimg': 1.0, 'schedule.tick_kimg_dict': {},
        'train.total_kimg': 10.0, 'train.image_snapshot_ticks': 1000, 'train.network_snapshot_ticks': 1000}),
    'VERBOSE': Preset('', 'ticks of 1 kimg, a line per iteration, snapshots every 100 ticks', {
        'schedule.tick_kimg': 1.0, 'schedule.tick_kimg_dict': {}, 'train.verbose': True,
        'train.network_snapshot_ticks': 100}),
    'GRAPH': Preset('', 'the training graph to TensorBoard', {'train.graph': True}),
    'HIST': Preset('', 'weight histograms to TensorBoard', {'train.histograms': True}),
}
