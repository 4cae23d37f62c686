import { describe, expect, test } from '@jest/globals';
import { Tickets } from '../../../../adapters/kernels/engine/tickets.ts';

describe('tickets', () => {
  test('are taken at the owner with the least to do, then at the one with more places', async () => {
    const [busy, idle] = [{ pending: 2 }, { pending: 1 }];
    const tickets = new Tickets({ owners: [busy, idle], perOwner: 2 });
    expect((await tickets.take()).owner).toBe(idle);
    busy.pending = 1;
    expect((await tickets.take()).owner).toBe(busy);
  });

  test('are all different while none is given back', async () => {
    const owners = [{ pending: 0 }, { pending: 0 }];
    const tickets = new Tickets({ owners, perOwner: 3 });
    const taken = await Promise.all(Array.from({ length: 6 }, () => tickets.take()));
    const names = taken.map(({ owner, number }) => `${owners.indexOf(owner)}:${number}`);
    expect(names.toSorted()).toEqual(['0:0', '0:1', '0:2', '1:0', '1:1', '1:2']);
  });

  test('go to those who wait in the order they came', async () => {
    const tickets = new Tickets({ owners: [{ pending: 0 }], perOwner: 1 });
    const first = await tickets.take();
    const order: string[] = [];
    const later = ['a', 'b'].map(async (name) => {
      const ticket = await tickets.take();
      order.push(name);
      tickets.give(ticket);
    });
    await Promise.resolve();
    expect(order).toEqual([]);
    tickets.give(first);
    await Promise.all(later);
    expect(order).toEqual(['a', 'b']);
    expect(await tickets.take()).toBe(first);
  });

  test('are refused after closing, also to those who wait already', async () => {
    const tickets = new Tickets({ owners: [{ pending: 0 }], perOwner: 1 });
    await tickets.take();
    const waiting = tickets.take();
    tickets.close(new RangeError('closed'));
    await expect(waiting).rejects.toThrow('closed');
    await expect(tickets.take()).rejects.toThrow('closed');
  });
});
