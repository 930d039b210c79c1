import { DownloadOutlined } from '@ant-design/icons'
import { Button, Dropdown } from 'antd'
import { useTexts } from '../app/texts'
import en from '../words/en.json'
import zh from '../words/zh.json'

export interface Field<R> {
  title: string
  of: (row: R) => string | number | Date | undefined | null
}

// A cell that a spreadsheet would take for a formula is given a quote, as OWASP advises.
const harmless = (s: string) => (/^[=+\-@\t\r]/.test(s) ? "'" + s : s)

const text = (v: string | number | Date | undefined | null) => (v === undefined || v === null ? '' : v instanceof Date ? v.toISOString() : typeof v === 'number' ? String(v) : harmless(v))

/** csv writes rows as a spreadsheet reads them: with a byte order mark, quoted. */
export function csv<R>(fields: Field<R>[], rows: R[]): string {
  const quoted = (s: string) => '"' + s.replaceAll('"', '""') + '"'
  const lines = [fields.map((f) => quoted(f.title)), ...rows.map((r) => fields.map((f) => quoted(text(f.of(r)))))]
  return '\ufeff' + lines.map((l) => l.join(',')).join('\r\n') + '\r\n'
}

function save(name: string, content: Blob) {
  const url = URL.createObjectURL(content)
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** Export saves the rows that a table shows. */
export function Export<R>({ name, fields, rows }: { name: string; fields: Field<R>[]; rows: R[] }) {
  const t = useTexts({ zh, en })
  const file = `${name}-${new Date().toISOString().slice(0, 10)}`
  const workbook = async () => {
    const { default: write } = await import('write-excel-file/browser')
    const cell = (v: string | number | Date | undefined | null) => {
      if (v === undefined || v === null) return null
      if (v instanceof Date) return { value: v, type: Date, format: 'yyyy-mm-dd hh:mm:ss' }
      return typeof v === 'number' ? { value: v, type: Number } : { value: v, type: String }
    }
    const head = fields.map((f) => ({ value: f.title, type: String, fontWeight: 'bold' as const }))
    const out = await write([head, ...rows.map((r) => fields.map((f) => cell(f.of(r))))] as never)
    save(file + '.xlsx', await out.toBlob())
  }
  return (
    <Dropdown
      disabled={rows.length === 0}
      menu={{
        items: [
          { key: 'xlsx', label: t('export.xlsx'), onClick: () => void workbook() },
          { key: 'csv', label: t('export.csv'), onClick: () => save(file + '.csv', new Blob([csv(fields, rows)], { type: 'text/csv;charset=utf-8' })) },
        ],
      }}
    >
      <Button icon={<DownloadOutlined />}>{t('export')}</Button>
    </Dropdown>
  )
}
