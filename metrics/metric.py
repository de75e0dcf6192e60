"""What every metric says of itself; a new one is a file with its class and a line in metrics/table.py."""


class Metric:
    """A metric: begin('reals' or 'fakes'), feed(minibatch) as often as needed, end() -> one float per column.

    The reals come first. One that sees the network has in place of these measure_network(Gs, labels, minibatch, seed,
    devices) -> one float per column, called once per network; it draws a latent, or more, for each row of the labels
    [number of images, label_size].
    """

    name: str             # In --metrics and in the records.
    sees: str             # 'images', uint8 [N, 3, R, R], their 'features' or 'logits' by Inception, or the 'network'.
    columns: tuple        # Names of its values.
    axis: str             # What its values are, and which are better, beside a plot.
    default_count: int    # Images of each set if no number is asked for: the paper's.
    takes = ()            # Arguments to make it with: some of resolution, num_images, real_statistics, scratch, random, and
                          # of the names in metrics/judges.py; the attribute `random` is a new RandomState for each set.
    needs_reals = False   # Whether it compares with reals.
    no_repeats = False    # Whether a real seen twice does harm; then it gets no more reals than there are.
    other_reals = False   # Whether as many further reals, measured as if they were fakes, tell what can be reached.

    @classmethod
    def check(cls, Gs):
        """ValueError if the metric cannot measure such a network.

        One that sees images asks for num_channels alone, which sets of images have too.
        """
