/** Every promise of the queue on every backend; one file, so that each backend is opened once. */

import { boardSuite } from './board.suite.ts';
import { deliveriesSuite } from './deliveries.suite.ts';
import { schedulesSuite } from './schedules.suite.ts';
import { forEachBackend } from './support.ts';
import { throughputSuite } from './throughput.suite.ts';

forEachBackend((on) => {
  deliveriesSuite(on);
  boardSuite(on);
  schedulesSuite(on);
  throughputSuite(on);
});
