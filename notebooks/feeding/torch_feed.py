"""PyTorch's DataLoader: a sampler says which rows; num_workers=2 makes batches in processes."""

from torch.utils.data import BatchSampler, DataLoader, Dataset, default_convert

from feeding.samples import BATCH, ORDER, make_batch


class Rows(Dataset):
    def __len__(self):
        return len(ORDER)

    def __getitem__(self, rows):
        return make_batch(rows)


def tuple_of_dicts(batch):
    return tuple(default_convert(part) for part in batch)  # the default makes a list


def feed(rows, **workers):
    batches = BatchSampler([int(row) for row in rows], BATCH, drop_last=False)
    return DataLoader(
        Rows(), batch_size=None, sampler=batches, collate_fn=tuple_of_dicts, **workers
    )


def rest(rows, done):
    return feed(rows[done * BATCH :])


def share(rows, machine, machines):
    return feed(rows[machine::machines])
