import { RedoOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'replays',
  letter: 'y',
  group: 'work',
  order: 32,
  rights: ['hub:read'],
  icon: <RedoOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Replays')),
  below: [
    { path: 'new', component: lazy(() => import('./New')) },
    { path: ':id', component: lazy(() => import('./Replay')) },
  ],
}
