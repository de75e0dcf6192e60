"""Settings of all tests: as many logical CPU devices as the distribution tests need."""
import runtime  # noqa: F401, I001  Before TensorFlow.
import tensorflow as tf

cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
