"""Commands that write a data set: TFRECORD_DIR, then the arguments of the function that describes the source."""
from data import drawnfaces, faces, folders, sources

SOURCES = {
    'create_digits': sources.digits,
    'create_digitsrgb': sources.digitsrgb,
    'create_drawnfaces': drawnfaces.drawn_faces,
    'create_mnist': sources.mnist,
    'create_mnistrgb': sources.mnistrgb,
    'create_cifar10': sources.cifar10,
    'create_cifar100': sources.cifar100,
    'create_svhn': sources.svhn,
    'create_lsun': sources.lsun,
    'create_lsun_wide': sources.lsun_wide,
    'create_celeba': sources.celeba,
    'create_celebahq': faces.celebahq_source,
    'create_from_images': folders.from_images,
    'create_from_hdf5': sources.hdf5,
}
