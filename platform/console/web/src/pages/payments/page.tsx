import { MoneyCollectOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'payments',
  letter: 'b',
  group: 'money',
  order: 70,
  rights: ['clinic:refund', 'clinic:books'],
  icon: <MoneyCollectOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Payments')),
  below: [{ path: ':hospital/:channel/:no', component: lazy(() => import('./Payment')) }],
}
