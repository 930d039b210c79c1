package pushhis

import (
	"maps"
	"slices"
	"strings"
)

// WSDL of the hospital's service at an address.
func WSDL(address string) []byte {
	return describe("LianhuService", namespace, address, slices.Sorted(maps.Keys(operations)))
}

// PlatformWSDL is what the hospital expects to find at the platform.
func PlatformWSDL(address string) []byte {
	var names []string
	for _, k := range kinds {
		names = append(names, k.method)
	}
	slices.Sort(names)
	return describe("PlatformService", platformNamespace, address, names)
}

// describe a service whose methods all take one string and answer with one.
func describe(service, namespace, address string, names []string) []byte {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions name="` + service + `" targetNamespace="` + namespace + `" xmlns:tns="` + namespace + `"
    xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <wsdl:types>
    <xs:schema targetNamespace="` + namespace + `" elementFormDefault="unqualified">
`)
	each := func(text string) {
		for _, name := range names {
			d.WriteString(strings.ReplaceAll(text, "OP", name))
		}
	}
	each(`      <xs:element name="OP"><xs:complexType><xs:sequence><xs:element name="` + parameter + `" type="xs:string" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>
      <xs:element name="OPResponse"><xs:complexType><xs:sequence><xs:element name="return" type="xs:string" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>
`)
	d.WriteString("    </xs:schema>\n  </wsdl:types>\n")
	each(`  <wsdl:message name="OP"><wsdl:part name="parameters" element="tns:OP"/></wsdl:message>
  <wsdl:message name="OPResponse"><wsdl:part name="parameters" element="tns:OPResponse"/></wsdl:message>
`)
	d.WriteString("  <wsdl:portType name=\"" + service + "\">\n")
	each(`    <wsdl:operation name="OP"><wsdl:input message="tns:OP"/><wsdl:output message="tns:OPResponse"/></wsdl:operation>
`)
	d.WriteString("  </wsdl:portType>\n  <wsdl:binding name=\"" + service + "Soap\" type=\"tns:" + service + "\">\n" +
		"    <soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>\n")
	each(`    <wsdl:operation name="OP"><soap:operation soapAction=""/><wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>
`)
	d.WriteString("  </wsdl:binding>\n  <wsdl:service name=\"" + service + "\">\n" +
		"    <wsdl:port name=\"" + service + "Soap\" binding=\"tns:" + service + "Soap\"><soap:address location=\"")
	_, _ = escaper.WriteString(&d, address)
	d.WriteString("\"/></wsdl:port>\n  </wsdl:service>\n</wsdl:definitions>\n")
	return d.Bytes()
}
