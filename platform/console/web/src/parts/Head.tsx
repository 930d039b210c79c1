import { Typography } from 'antd'
import type { ReactNode } from 'react'

/** Head is a page's title, with what can be done on it at the right. */
export function Head({ title, about, children }: { title: ReactNode; about?: ReactNode; children?: ReactNode }) {
  return (
    <div className="row" style={{ marginBottom: 16 }}>
      <div className="grow">
        <Typography.Title level={1} style={{ fontSize: 22, margin: 0 }}>
          {title}
        </Typography.Title>
        {about && <Typography.Text type="secondary">{about}</Typography.Text>}
      </div>
      {children}
    </div>
  )
}
