"""What StyleGAN's and StyleGAN2's network files have in common: components, and sizes that are read off the variables."""
import re

from official.states import expect, named_arrays
from pickles import Instance

_PREFIXES = {'synthesis': 'G_synthesis', 'mapping': 'G_mapping'}


def components_of(source, state):
    """{prefix of its variables here: state} of both components of a generator."""
    components, found = expect(state, 'components', dict, source), {}
    for key, prefix in _PREFIXES.items():
        component = components.get(key)
        if not (isinstance(component, Instance) and isinstance(component.state, dict)):
            raise ValueError(f'{source} lacks the component network {key!r}; it is not a generator of StyleGAN.')
        found[prefix] = component.state
    return found


def with_components(source, arguments, stored, components):
    """The outer arguments and variables together with those of the components; what is told outside counts."""
    for prefix, component in components.items():
        arguments = expect(component, 'static_kwargs', dict, f'{source}, {prefix}') | arguments
        stored = stored | {f'{prefix}/{key}': array for key, array in named_arrays(f'{source}, {prefix}', component).items()}
    return arguments, stored


def shapes(source, stored):
    """A function (name, rank) -> the shape of a stored array, ValueError where it is missing or of another rank."""
    def shape(name, rank):
        if name not in stored:
            raise ValueError(f'{source} lacks variable {name!r}; it belongs to another architecture.')
        if stored[name].ndim != rank:
            raise ValueError(f'{source} holds {name!r} of shape {list(stored[name].shape)}; {rank} axes belong there.')
        return stored[name].shape
    return shape


def resolution_of(source, stored, pattern):
    """The largest that the names of layers tell."""
    sizes = [int(found[1]) for found in (re.match(pattern, name[:60]) for name in stored) if found and len(found[1]) < 6]
    size = max(sizes, default=0)
    if not 4 <= size <= 1 << 14 or size & (size - 1):
        raise ValueError(f'{source} has layers of {size}x{size} as its largest; expected is a power of two from 4 to 16384.')
    return size


def read_mapping(shape, stored, told, w):
    """Settings of the mapping to w of `w` components; `told` is what the arguments say."""
    depth = sum(re.fullmatch(r'G_mapping/Dense\d+/weight', name) is not None for name in stored)
    label_size, z = shape('G_mapping/LabelConcat/weight', 2) if 'G_mapping/LabelConcat/weight' in stored else (0, None)
    if z is None:
        z = shape('G_mapping/Dense0/weight', 2)[0] if depth else w
    return {'label_size': label_size, 'latent_size': z, 'dlatent_size': w, 'mapping_layers': depth,
            'mapping_fmaps': shape('G_mapping/Dense0/weight', 2)[1] if depth > 1 else told.get('mapping_fmaps', 512)}


def read_stddev(shape):
    """Settings of minibatch stddev, which appends channels at 4x4."""
    features = shape('4x4/Conv/weight', 4)[2] - shape('4x4/Conv/weight', 4)[3]
    return {'mbstd_num_features': max(features, 1)} | ({} if features > 0 else {'mbstd_group_size': 0})
