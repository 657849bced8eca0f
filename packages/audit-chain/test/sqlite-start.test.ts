// Several processes that start at once on one file that is not there yet.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { examineLog } from '@mcp-gateway/audit-chain'
import { createSqliteStore } from '@mcp-gateway/audit-chain/stores/sqlite'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { open, scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/start'

test('six processes make one log out of a file that was not there', async () => {
  using home = scratch()
  const args = [
    '--conditions=@mcp-gateway/source',
    join(import.meta.dirname, 'support/writer.ts'),
    'sqlite',
    home.path,
    ORIGIN,
    '200',
  ]
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }),
  )
  const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as number))
  expect(codes).toEqual([0, 0, 0, 0, 0, 0])
  await using opened = open(home.path, ORIGIN)
  expect(await examineLog({ store: opened.store, origin: ORIGIN })).toMatchObject({ findings: [], size: 1200 })
})

test('a file that may only be read can be examined', async () => {
  using home = scratch()
  {
    await using opened = open(home.path, ORIGIN)
    await opened.log.append({ type: 'test' })
  }
  using database = new DatabaseSync(home.path, { readOnly: true })
  database.exec('pragma synchronous=full; pragma secure_delete=on')
  const store = createSqliteStore({ database })
  expect(await examineLog({ store, origin: ORIGIN })).toMatchObject({ findings: [], size: 1 })
})
