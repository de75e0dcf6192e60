"""Random damage for files that are attacked."""


def mutate(data, random, fragments=(b'', bytes(8), b'\xff' * 8)):
    """One to four random changes: bits, bytes, spans removed, doubled or overwritten, fragments; or a shorter file."""
    data = bytearray(data)
    for _ in range(random.randint(1, 4)):
        start = random.randint(len(data))
        end = min(start + random.geometric(0.1), len(data))
        kind = random.randint(6)
        if kind == 0:
            data[start] ^= 1 << random.randint(8)
        elif kind == 1:
            data[start] = random.randint(256)
        elif kind == 2:
            del data[start:end]
        elif kind == 3:
            data[start:start] = data[start:end]
        elif kind == 4:
            data[start:end] = random.bytes(end - start)
        else:
            data[start:start] = fragments[random.randint(len(fragments))]
        if not data:
            break
    return bytes(data if random.randint(8) else data[: random.randint(len(data) + 1)])
