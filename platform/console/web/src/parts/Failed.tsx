import { Alert, Button } from 'antd'
import { Problem } from '../api/client'
import { useTexts } from '../app/texts'
import en from '../words/en.json'
import zh from '../words/zh.json'

type Key = keyof typeof zh

/** sayProblem says in the person's language what went wrong and what to do. */
export function sayProblem(error: unknown, t: (key: Key, values?: Record<string, string>) => string): { title: string; more: string } {
  if (!(error instanceof Problem)) return { title: t('problem.lost'), more: t('problem.lost.do') }
  const key = `problem.${error.kind}`
  const known = key in zh
  const title = known ? t(key as Key) : error.message
  const parts = [error.detail, error.words, ...error.errors.map((e) => (e.field ? e.field + ': ' : '') + e.what)]
  const what = `problem.${error.kind}.do`
  if (what in zh) parts.push(t(what as Key))
  if (error.incident) parts.push(t('problem.incident', { incident: error.incident }))
  return { title, more: parts.filter((p) => p !== '').join(' · ') }
}

/** Failed stands where something could not be shown, and says what to do. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const t = useTexts({ zh, en })
  const { title, more } = sayProblem(error, t)
  return (
    <Alert
      type={error instanceof Problem && error.status === 404 ? 'info' : 'error'}
      showIcon
      title={title}
      description={more || undefined}
      action={again && <Button size="small" onClick={again}>{t('again')}</Button>}
      style={{ margin: '1rem 0' }}
    />
  )
}
