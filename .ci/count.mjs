// node .ci/count.mjs VITEST_JSON CONFORMANCE_LOG: prints `N passed, N failed` for both together. Plain JavaScript,
// because it also runs when the install failed and only the machine's Node is there.
import { readFileSync } from 'node:fs'

const [vitestFile, conformanceFile] = process.argv.slice(2)

/** A step that did not get as far as its report counts nothing here; its exit code already failed the run. */
function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function vitest() {
  const text = read(vitestFile)
  if (text === '') return { passed: 0, failed: 0, skipped: 0 }
  const report = JSON.parse(text)
  // A file that could not be loaded has no tests that could fail.
  const unloaded = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

function conformance() {
  const [, passed = 0, failed = 0] = /^(\d+) passed, (\d+) failed$/m.exec(read(conformanceFile)) ?? []
  return { passed: Number(passed), failed: Number(failed) }
}

const [tests, checks] = [vitest(), conformance()]
const skipped = tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''
console.log(`${tests.passed + checks.passed} passed, ${tests.failed + checks.failed} failed${skipped}`)
