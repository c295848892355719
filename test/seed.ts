/**
 * One seed for all properties, so that a run can be repeated. FAIRLEAD_PROPERTIES=<number> takes another, FAIRLEAD_PROPERTIES=random a
 * new one each time: what it finds becomes an example or a fixed bug.
 */
import fc from 'fast-check'

const given = process.env['FAIRLEAD_PROPERTIES']
if (given !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given ?? 20_261_121) })
