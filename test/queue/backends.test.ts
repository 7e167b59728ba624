/** Every promise of the queue on every backend; one file, so that each backend is opened once. */

import { deliveriesSuite } from './deliveries.suite.ts';
import { schedulesSuite } from './schedules.suite.ts';
import { forEachBackend } from './support.ts';
import { throughputSuite } from './throughput.suite.ts';

forEachBackend((on) => {
  deliveriesSuite(on);
  schedulesSuite(on);
  throughputSuite(on);
});
