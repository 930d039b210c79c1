import { useQuery } from '@tanstack/react-query'
import { Skeleton, Tag, Typography, theme } from 'antd'
import { api, ok, type Schemas } from '../../api/client'
import { useTexts } from '../../app/texts'
import { Failed } from '../../parts/Failed'
import en from './en.json'
import zh from './zh.json'

type Of = Schemas['Exchange']

export const useExchange = (id: number, number: number) =>
  useQuery({
    queryKey: ['exchange', id, number],
    staleTime: Infinity, // what was said does not change
    queryFn: async () => (await ok(api.GET('/v1/messages/{id}/attempts/{n}/exchange', { params: { path: { id, n: number } } }))).exchanges,
  })

/** Exchange shows what we meant beside what was said and answered. */
export function Exchange({ id, number }: { id: number; number: number }) {
  const got = useExchange(id, number)
  if (got.isPending) return <Skeleton active />
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  return (
    <>
      {got.data.map((x) => (
        <Sides key={x.at} of={x} />
      ))}
    </>
  )
}

export function Sides({ of: x, body }: { of: Of; body?: unknown }) {
  const t = useTexts({ zh, en })
  const content = x.body ?? body
  return (
    <div className="sides" style={{ marginBlock: 8 }}>
      {content !== undefined && <Text title={t('canonical')} text={JSON.stringify(content, null, 2)} />}
      <Bytes title={t('request')} wire={x.request} />
      <Bytes title={t('response')} wire={x.response} head={x.head} />
    </div>
  )
}

function Bytes({ title, wire, head }: { title: string; wire: Schemas['Wire']; head?: string }) {
  const t = useTexts({ zh, en })
  const text = wire.bytes === 0 ? t('nothing') : (wire.text ?? (wire.base64 ? hex(wire.base64) : t('binary')))
  return <Text title={title} tags={[t('bytes', { n: wire.bytes }), ...(wire.charset ? [wire.charset] : []), ...(head ? [head] : [])]} text={text} />
}

export function Text({ title, tags, text }: { title: string; tags?: string[]; text: string }) {
  const { token } = theme.useToken()
  return (
    <section style={{ minWidth: 0 }} aria-label={title}>
      <div className="row" style={{ marginBottom: 4 }}>
        <Typography.Text strong>{title}</Typography.Text>
        {(tags ?? []).map((g) => (
          <Tag key={g}>{g}</Tag>
        ))}
        <Typography.Text copyable={{ text }} />
      </div>
      <pre className="wire mono" tabIndex={0} style={{ background: token.colorFillTertiary }}>
        {text}
      </pre>
    </section>
  )
}

/** hex writes bytes as people compare them: place, bytes, text. */
export function hex(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
  const lines: string[] = []
  for (let i = 0; i < bytes.length; i += 16) {
    const part = [...bytes.slice(i, i + 16)]
    const text = part.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('')
    lines.push(i.toString(16).padStart(6, '0') + '  ' + part.map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(48) + ' ' + text)
  }
  return lines.join('\n')
}
