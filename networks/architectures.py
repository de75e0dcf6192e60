"""The closed table of architectures: a file names a kind, never a module or a class."""
from networks import mnist1k, progan, stylegan, stylegan2, stylegan_revised

ARCHITECTURES = {  # Kind -> (generator, discriminator).
    'mnist1k': (mnist1k.Generator, mnist1k.Discriminator),
    'progan': (progan.Generator, progan.Discriminator),
    'stylegan': (stylegan.Generator, stylegan.Discriminator),
    'stylegan2': (stylegan2.Generator, stylegan2.Discriminator),
    'stylegan_revised': (stylegan_revised.Generator, stylegan_revised.Discriminator)}
FIRST = 'progan'  # That of files from before there was a choice.


def network_class(kind, name):
    """The class of network `name` ('G', 'D' or 'Gs') of an architecture; ValueError for a kind that does not exist."""
    if kind not in ARCHITECTURES:
        raise ValueError(f'The networks are of kind {kind!r}; this program knows {", ".join(ARCHITECTURES)}.')
    G, D = ARCHITECTURES[kind]
    return D if name == 'D' else G


def copy_of(network, dtype=None):
    """The same network in variables of its own, with activations of `dtype`, a Keras policy (default: the network's)."""
    copied = type(network)(**network.build_arguments(), dtype=dtype or network.dtype_policy)
    copied.class_names = network.class_names
    copy_variables(network, copied)
    return copied


def copy_variables(source, target):
    """Copies all variables between networks of one architecture."""
    for variable, value in zip(target.named_variables().values(), source.named_variables().values(), strict=True):
        variable.assign(value)
