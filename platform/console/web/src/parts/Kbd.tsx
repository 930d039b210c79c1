import { theme } from 'antd'
import type { ReactNode } from 'react'

export function Kbd({ children }: { children: ReactNode }) {
  const { token } = theme.useToken()
  return (
    <kbd className="mono" style={{ border: `1px solid ${token.colorBorder}`, borderRadius: 4, padding: '0 0.35em', color: token.colorTextSecondary }}>
      {children}
    </kbd>
  )
}
