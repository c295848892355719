import type { Scenario } from '../scenario.ts'
import { onPostgres } from '../world/postgres.ts'
import { clock } from './clock.ts'
import { damage } from './damage.ts'
import { fleet } from './fleet.ts'
import { freeze } from './freeze.ts'
import { kills } from './kills.ts'
import { memory } from './memory.ts'
import { pgRestarts } from './pg-restarts.ts'
import { pgWires } from './pg-wires.ts'
import { diskFaults, killPoints } from './points.ts'
import { powerCut } from './power-cut.ts'

export const scenarios: readonly Scenario[] = [
  killPoints,
  kills,
  freeze,
  diskFaults,
  powerCut,
  damage,
  clock,
  memory,
  fleet,
  onPostgres(kills),
  onPostgres(freeze),
  onPostgres(fleet),
  pgRestarts,
  pgWires,
]
