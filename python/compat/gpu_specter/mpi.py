"""Who reads, who computes and who writes. A step that fails on one rank fails on all that would wait for it."""

# Results on their way to the writer.
TAG = 7


class NoMPIIOCoordinator:
    """One process does everything."""

    rank, work_comm = 0, None

    def is_worker_root(self, rank):
        return rank == 0

    is_reader = is_writer = is_worker = is_worker_root

    def read(self, func, payload):
        return func()

    def process(self, func, payload):
        return func()

    def write(self, func, payload):
        func(payload)


class SerialIOCoordinator:
    """Rank 0 reads and writes, all compute."""

    def __init__(self, comm):
        self.comm = self.work_comm = comm
        self.rank = comm.rank

    def is_worker_root(self, rank):
        return rank == 0

    is_reader = is_writer = is_worker_root

    def is_worker(self, rank):
        return True

    def read(self, func, payload):
        """Returns the result of ``func`` on rank 0, ``payload`` on the others."""
        read = _tried_on(self.comm, 0, func)
        return read if self.rank == 0 else payload

    def process(self, func, payload):
        return func()

    def write(self, func, payload):
        if self.rank == 0:
            func(payload)


class ParallelIOCoordinator:
    """The last rank but one reads, the last one writes, all before them compute: three steps of different frames overlap."""

    def __init__(self, comm):
        if comm.size < 3:
            raise ValueError(f"ParallelIOCoordinator has {comm.size} ranks: give at least 3, of which two read and write")
        self.comm, self.rank = comm, comm.rank
        self.reader, self.writer = comm.size - 2, comm.size - 1
        # The reader and the writer get a communicator of their own, which they have no use for.
        self.work_comm = comm.Split(color=int(self.is_worker(self.rank)), key=self.rank)

    def is_reader(self, rank):
        return rank == self.reader

    def is_writer(self, rank):
        return rank == self.writer

    def is_worker(self, rank):
        return rank < self.reader

    def is_worker_root(self, rank):
        return rank == 0

    def read(self, func, payload):
        """Calls ``func`` on the reader and returns its result on rank 0, ``payload`` on the others."""
        read = _tried_on(self.comm, self.reader, func)
        if self.is_reader(self.rank):
            self.comm.send(read, dest=0)
        return self.comm.recv(source=self.reader) if self.rank == 0 else payload

    def process(self, func, payload):
        """Returns the result of ``func`` on workers, ``payload`` elsewhere."""
        if not self.is_worker(self.rank):
            return payload
        try:
            return func()
        except Exception as error:
            if self.rank == 0:
                self.comm.send((error, None), dest=self.writer, tag=TAG)
            raise

    def write(self, func, payload):
        """Rank 0's ``payload`` goes to the writer's ``func``."""
        if self.rank == 0:
            self.comm.send((None, payload), dest=self.writer, tag=TAG)
        if self.is_writer(self.rank):
            error, result = self.comm.recv(source=0, tag=TAG)
            if error is not None:
                raise error
            func(result)


def _tried_on(comm, rank, func):
    """Does ``func`` on one rank; what it raises there, all raise."""
    result, problem = None, None
    if comm.rank == rank:
        try:
            result = func()
        except Exception as error:
            problem = error
    problem = comm.bcast(problem, root=rank)
    if problem is not None:
        raise problem
    return result
