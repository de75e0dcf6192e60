"""The closed tables of what a run is made of: sections of networks and losses by kind, and every name of --config."""
from presets import datasets, hinge, joint, lsgan, mnist1k, paper, progan, shared, stylegan, stylegan2, stylegan_revised

# Of a Network, a Loss, or both, or none, and PRESETS.
METHODS = (progan, stylegan, stylegan2, stylegan_revised, hinge, lsgan, joint, mnist1k, paper)

NETWORKS = {method.Network.kind: method.Network for method in METHODS if hasattr(method, 'Network')}
LOSSES = {method.Loss.kind: method.Loss for method in METHODS if hasattr(method, 'Loss')}
PRESETS = {name: preset for module in (*METHODS, datasets, shared) for name, preset in module.PRESETS.items()}
