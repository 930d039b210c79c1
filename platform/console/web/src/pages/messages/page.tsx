import { MailOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'messages',
  letter: 'm',
  group: 'work',
  order: 20,
  rights: ['hub:read'],
  icon: <MailOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Messages')),
  below: [{ path: ':id', component: lazy(() => import('./Message')) }],
}
