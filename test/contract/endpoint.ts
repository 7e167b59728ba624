/**
 * The suite that every endpoint must pass: the promises of endpoints/endpoint.ts, tried out.
 *
 * What an endpoint's capabilities say it cannot do is not asked; nothing is ever skipped. Call it with `await` at
 * the top of a test file, so that the capabilities are known when the tests are registered.
 */

import { after, describe } from 'node:test';
import { conflictContract } from './endpoint/conflicts.ts';
import { type ContractSetup, contractFor, SharedSession } from './endpoint/kit.ts';
import { nameContract } from './endpoint/names.ts';
import { readContract } from './endpoint/reading.ts';
import { sendContract } from './endpoint/sending.ts';
import { sourceContract } from './endpoint/sources.ts';
import { takeContract } from './endpoint/taking.ts';
import { troubleContract } from './endpoint/troubles.ts';

export { type ContractSetup, cutBy, type Outside, outsideOf } from './endpoint/kit.ts';

/**
 * @param create makes the endpoint and an empty folder at it; disposed of after the last test
 * @param only `sends`: of an endpoint of which another variant passes all of it, what depends on how a file gets its name
 */
export async function endpointContract(
  name: string,
  create: () => Promise<ContractSetup>,
  only: 'all' | 'sends' = 'all',
): Promise<void> {
  const setup = await create();
  describe(`${name} keeps the endpoint contract`, () => {
    const session = new SharedSession(setup.endpoint);
    after(async () => {
      await session[Symbol.asyncDispose]();
      await setup[Symbol.asyncDispose]();
    });
    const contract = contractFor(setup, session);
    if (only === 'all') nameContract(contract, setup);
    sendContract(contract, setup);
    conflictContract(contract, setup);
    if (only === 'all') sourceContract(contract);
    troubleContract(contract, setup);
    if (only === 'all') readContract(contract, setup);
    takeContract(contract, setup);
  });
}
